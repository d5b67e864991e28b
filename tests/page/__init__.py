"""The pages in a real browser: `make test-page`. Not collected without Playwright and Chromium."""
