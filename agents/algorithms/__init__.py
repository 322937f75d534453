"""Pure functions of policy-gradient algorithms: advantages, losses, the table of objectives, configuration."""
