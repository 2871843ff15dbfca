package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/endpointslicemirroring"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

// controller runs until its context ends.
type controller = func(context.Context)

// create makes a controller with a client of its own.
type create func(context.Context, *manager, kubernetes.Interface) (controller, error)

// controllers are those that a cluster without nodes has work for, by their names in Kubernetes. Numbers of workers and
// periods are the defaults of kube-controller-manager.
var controllers = map[string]create{
	"namespace-controller":                     newNamespaceController,
	"garbage-collector-controller":             newGarbageCollector,
	"endpointslice-controller":                 newEndpointSliceController,
	"endpointslice-mirroring-controller":       newEndpointSliceMirroringController,
	"serviceaccount-controller":                newServiceAccountController,
	"root-ca-certificate-publisher-controller": newRootCAPublisher,
	"clusterrole-aggregation-controller":       newClusterRoleAggregationController,
	"deployment-controller":                    newDeploymentController,
	"replicaset-controller":                    newReplicaSetController,
}

// workers binds the number of workers of a controller.
func workers(run func(context.Context, int), count int) controller {
	return func(ctx context.Context) { run(ctx, count) }
}

func newNamespaceController(ctx context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	objects, err := metadata.NewForConfig(rest.AddUserAgent(rest.CopyConfig(m.config), "namespace-controller"))
	if err != nil {
		return nil, err
	}
	resources := client.Discovery().ServerPreferredNamespacedResources
	namespaces := m.informers.Core().V1().Namespaces()
	made := namespace.NewNamespaceController(
		ctx, client, objects, resources, namespaces, 5*time.Minute, corev1.FinalizerKubernetes)
	return workers(made.Run, 10), nil
}

func newGarbageCollector(ctx context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	objects, err := metadata.NewForConfig(rest.AddUserAgent(rest.CopyConfig(m.config), "garbage-collector-controller"))
	if err != nil {
		return nil, err
	}
	informers := informerfactory.NewInformerFactory(m.informers, m.metadata)
	ignored := garbagecollector.DefaultIgnoredResources()
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, objects, m.mapper, ignored, informers, m.started)
	if err != nil {
		return nil, err
	}
	const period = 30 * time.Second
	return func(ctx context.Context) {
		// Sync finds new kinds.
		go collector.Sync(ctx, client.Discovery(), period)
		collector.Run(ctx, 20, period)
	}, nil
}

func newEndpointSliceController(ctx context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	core := m.informers.Core().V1()
	slices := m.informers.Discovery().V1().EndpointSlices()
	const endpointsPerSlice, batchPeriod = 100, 0
	made := endpointslice.NewController(
		ctx, core.Pods(), core.Services(), core.Nodes(), slices, endpointsPerSlice, client, batchPeriod)
	return workers(made.Run, 5), nil
}

func newEndpointSliceMirroringController(
	ctx context.Context, m *manager, client kubernetes.Interface,
) (controller, error) {
	core := m.informers.Core().V1()
	slices := m.informers.Discovery().V1().EndpointSlices()
	const endpointsPerSubset, batchPeriod = 1000, 0
	made := endpointslicemirroring.NewController(
		ctx, core.Endpoints(), slices, core.Services(), endpointsPerSubset, client, batchPeriod)
	return workers(made.Run, 5), nil
}

func newServiceAccountController(ctx context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	core := m.informers.Core().V1()
	options := serviceaccount.DefaultServiceAccountsControllerOptions()
	made, err := serviceaccount.NewServiceAccountsController(
		klog.FromContext(ctx), core.ServiceAccounts(), core.Namespaces(), client, options)
	if err != nil {
		return nil, err
	}
	return workers(made.Run, 1), nil
}

func newRootCAPublisher(_ context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	core := m.informers.Core().V1()
	made, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), client, m.rootCA)
	if err != nil {
		return nil, err
	}
	return workers(made.Run, 1), nil
}

func newClusterRoleAggregationController(
	_ context.Context, m *manager, client kubernetes.Interface,
) (controller, error) {
	made := clusterroleaggregation.NewClusterRoleAggregation(m.informers.Rbac().V1().ClusterRoles(), client.RbacV1())
	return workers(made.Run, 5), nil
}

func newDeploymentController(ctx context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	apps := m.informers.Apps().V1()
	pods := m.informers.Core().V1().Pods()
	made, err := deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), pods, client)
	if err != nil {
		return nil, err
	}
	return workers(made.Run, 5), nil
}

func newReplicaSetController(ctx context.Context, m *manager, client kubernetes.Interface) (controller, error) {
	pods := m.informers.Core().V1().Pods()
	made := replicaset.NewReplicaSetController(
		ctx, m.informers.Apps().V1().ReplicaSets(), pods, client, replicaset.BurstReplicas)
	return workers(made.Run, 5), nil
}
