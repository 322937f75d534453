"""Pages of the documentation that are made from the code; `extension` connects them to Sphinx."""
