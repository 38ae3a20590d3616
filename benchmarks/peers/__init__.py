"""What a request costs with other libraries that keep counts outside of the process, and which of them count right."""
