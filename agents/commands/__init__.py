"""The subcommands of `textmdp`; `textmdp.agents.cli` lists them. Each module adds arguments to a parser, and runs."""
