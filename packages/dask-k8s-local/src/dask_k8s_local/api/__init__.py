"""The API server: HTTP in, store verbs out. What a pod does when it runs is none of its business."""
