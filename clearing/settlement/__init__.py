"""Settlement: a service day is made final, and never changes afterwards."""
