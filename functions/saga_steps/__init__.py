"""The saga's six steps and their compensations: eleven functions from one package."""
