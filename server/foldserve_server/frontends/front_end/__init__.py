"""Front end: a process that answers callers with the engines that the supervisor runs."""
