"""One module for each kind of system that is asked; its name is the `kind` in plant.yaml.

Belongs here: what one system says and how it is asked. Does not belong here: storing it (`connectors.py`), HTTP in
general (`ask.py`). A module has `OPTIONS`, `SECRETS` and `adapters`, as `connections.Kind` describes.
"""
