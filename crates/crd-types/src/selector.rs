//! The schema of a label selector, bounded. (Kubernetes' own has no bounds, and a rule over it would have no cost limit.)

use schemars::{Schema, SchemaGenerator, json_schema};

/// A `metav1.LabelSelector` of at most 16 labels and 16 expressions.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must all be present with these values.",
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63},
                "x-kubernetes-validations": [{
                    "rule": "self.all(key, size(key) > 0 && size(key) <= 317)",
                    "message": "a label's key has 1 to 317 characters; shorten it",
                }],
            },
            "matchExpressions": {
                "description": "Requirements that must all hold.",
                "type": "array",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"description": "The label.", "type": "string", "minLength": 1, "maxLength": 317},
                        "operator": {
                            "description": "How the label relates to the values.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "With In and NotIn: the values.",
                            "type": "array",
                            "maxItems": 32,
                            "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 63},
                        },
                    },
                    "x-kubernetes-validations": [
                        {
                            "rule": "!(self.operator in ['In', 'NotIn']) || has(self.values) && size(self.values) > 0",
                            "message": "In and NotIn need at least one value",
                        },
                        {
                            "rule": "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
                            "message": "Exists and DoesNotExist take no values; remove them",
                        },
                    ],
                },
            },
        },
    })
}
