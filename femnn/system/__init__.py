"""What this computer is: processor, libraries, memory."""
