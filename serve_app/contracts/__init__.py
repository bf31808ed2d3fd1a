"""Records, errors and state that the other packages of the serving application share."""
