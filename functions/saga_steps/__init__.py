"""The saga's six steps, their compensations, and the wait for a customer: twelve functions from one package."""
