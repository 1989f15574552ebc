"""CustomResourceDefinitions: serving their kinds, and evaluating their CEL rules.

Schemas are validated in `schema`.
"""
