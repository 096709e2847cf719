# Each target sets itself up in .venv and .cache; both are ignored by git.
.PHONY: demo test check format bench stack soak docs clean

demo test check bench stack soak docs format:
	@scripts/$@

clean:
	rm -rf .venv .cache site dist
