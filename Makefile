# Each target sets itself up in .venv and .cache; both are ignored by git.
export HOST PORT SECURE USERNAME PASSWORD_ENVIRONMENT CLUSTER FEW_RIGHTS_USERNAME FEW_RIGHTS_PASSWORD_ENVIRONMENT KILLS
# Where this is set, every Python that a test starts would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: demo screenshots test test-all test-clickhouse check format lock package audit sanitize bench stack soak docs clean

demo screenshots test test-all test-clickhouse check format lock package audit sanitize bench stack soak docs:
	@scripts/$@

clean:
	rm -rf .venv .cache site dist wheelhouse build
