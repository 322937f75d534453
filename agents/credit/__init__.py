"""The credit lab: exact values of every prefix, and a referee for advantage estimators that judges by them."""
