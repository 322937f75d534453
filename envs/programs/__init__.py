"""Problems that ask for programs: generated ones without end, data sets, and what of a response is the program."""
