"""Training runs: their course, their folder, the report, and the doctor that reads the metrics."""
