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
                "description": "matchLabels lists labels that an object must have, with exactly these values.",
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63},
                "x-kubernetes-validations": [{
                    "rule": "self.all(key, size(key) > 0 && size(key) <= 317)",
                    "message": "label keys must have 1 to 317 characters",
                }],
            },
            "matchExpressions": {
                "description": "matchExpressions lists label requirements. An object must meet all of them.",
                "type": "array",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "A label selector requirement contains a label key, an operator and values.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "key is the label key that the requirement applies to.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 317,
                        },
                        "operator": {
                            "description": "operator is how the label's value relates to values: In, NotIn, Exists or DoesNotExist.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "values lists the values. It must not be empty when operator is In or NotIn, and it must be empty when operator is Exists or DoesNotExist.",
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
                            "message": "values must not be set when operator is Exists or DoesNotExist; remove the values",
                        },
                    ],
                },
            },
        },
    })
}
