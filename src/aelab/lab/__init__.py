"""Train, resume, evaluate and report the models of an experiment."""
