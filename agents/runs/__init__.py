"""The run folder: configuration, metrics, checkpoints, report, and the doctor that reads them."""
