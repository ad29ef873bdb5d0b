"""Publishing: a copy of one run to pass on, without what may not be passed on."""
