"""The functions as Vercel builds and runs them, by Vercel's own builder and runtime."""
