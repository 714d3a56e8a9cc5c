"""What an engine does here: a real worker process under load of growing size, its speed and its memory."""
