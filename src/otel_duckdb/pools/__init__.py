"""Connection pools: those shown to us, and SQLAlchemy's."""
