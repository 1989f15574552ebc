"""CustomResources resources: what a CustomResourceDefinition means, its CEL rules, its registration.

No HTTP.
"""
