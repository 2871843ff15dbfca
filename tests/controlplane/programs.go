//go:build programs

// Package controlplane pins the programs of the Kubernetes control plane that the tests and the demo run.
// `cargo xtask cluster` builds them with `go build`; nothing here is imported by the operator.
package controlplane

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
