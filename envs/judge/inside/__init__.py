"""What runs in the sandboxed interpreter: the standard library and these files only, never the rest of the package."""
