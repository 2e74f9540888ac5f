"""Migrations, run inside the deploy. The only source of tables."""
