"""The credit microscope: episodes token by token, with the advantages that each estimator gives, and other branches."""
