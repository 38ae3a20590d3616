"""What the operator's definitions allow, and the script that writes it down."""
