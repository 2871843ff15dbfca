//! The schema of a label selector with bounds. Kubernetes' own schema has no bounds, so the API server could not limit
//! the cost of a CEL rule over it.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A `metav1.LabelSelector` of at most 16 labels and 16 expressions.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "matchLabels is a map of labels. A label must be present with the given value for every entry.",
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63},
                "x-kubernetes-validations": [{
                    "rule": "self.all(key, size(key) > 0 && size(key) <= 317)",
                    "message": "the key of a label must have 1 to 317 characters; shorten the key",
                }],
            },
            "matchExpressions": {
                "description": "matchExpressions is a list of requirements. All of them must be met.",
                "type": "array",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "A label selector requirement relates a label to a set of values.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "key is the key of the label that the requirement applies to.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 317,
                        },
                        "operator": {
                            "description": "operator is the relationship of the label to the values.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "values is the list of values. It must not be empty with In and NotIn, and it must be empty with Exists and DoesNotExist.",
                            "type": "array",
                            "maxItems": 32,
                            "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 63},
                        },
                    },
                    "x-kubernetes-validations": [
                        {
                            "rule": "!(self.operator in ['In', 'NotIn']) || has(self.values) && size(self.values) > 0",
                            "message": "values is required when operator is In or NotIn; add at least one value",
                        },
                        {
                            "rule": "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
                            "message": "values may not be set when operator is Exists or DoesNotExist; remove the values",
                        },
                    ],
                },
            },
        },
    })
}
