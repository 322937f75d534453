"""Generated programming problems: specifications, expressions, statements, grammar, mutants."""
