"""Developer tools: what builds, checks and trains. Nothing here is imported by the library."""
