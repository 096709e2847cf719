# Each target sets itself up in .venv and .cache; both are ignored by git.
.PHONY: demo test test-all check format lock package audit sanitize bench stack soak docs clean

demo test test-all check format lock package audit sanitize bench stack soak docs:
	@scripts/$@

clean:
	rm -rf .venv .cache site dist wheelhouse build
