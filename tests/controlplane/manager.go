package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// resync is how often the shared informers send every object again.
const resync = 12 * time.Hour

// manager has what the controllers share.
type manager struct {
	config    *rest.Config
	informers informers.SharedInformerFactory
	// metadata is for kinds without a Go type, such as custom resources.
	metadata metadatainformer.SharedInformerFactory
	// mapper finds the resource of a kind. The garbage collector resets it when the kinds change.
	mapper *restmapper.DeferredDiscoveryRESTMapper
	// started is closed when the informers run.
	started chan struct{}
	// rootCA is the certificate of the API server that every namespace gets.
	rootCA []byte
}

// runControllerManager runs the controllers that `--controllers` names.
//
// The real kube-controller-manager has about 50 controllers, with all volume plugins and cloud providers behind them.
// To compile them takes minutes, and a control plane without nodes has no work for most of them. The flags have the
// names and the meaning that they have there, so that the caller can run either program.
func runControllerManager() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := manage(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func manage(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("kube-controller-manager", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "the kubeconfig `file`")
	rootCAFile := flags.String("root-ca-file", "", "the `file` with the certificate that every namespace gets")
	names := flags.String("controllers", "", "the `names` of the controllers to run, separated by commas")
	qps := flags.Float64("kube-api-qps", 20, "the requests per second of each controller")
	burst := flags.Int("kube-api-burst", 30, "the requests of each controller at once")
	flags.Bool("leader-elect", false, "ignored, because there is one replica")
	flags.Int("secure-port", 0, "ignored, because there are no metrics")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = float32(*qps), *burst
	rootCA, err := os.ReadFile(*rootCAFile)
	if err != nil {
		return err
	}
	m, err := newManager(config, rootCA)
	if err != nil {
		return err
	}
	if err := m.waitForAPIServer(ctx); err != nil {
		return err
	}
	return m.run(ctx, strings.Split(*names, ","))
}

func newManager(config *rest.Config, rootCA []byte) (*manager, error) {
	m := &manager{config: config, started: make(chan struct{}), rootCA: rootCA}
	client, err := m.client("shared-informers")
	if err != nil {
		return nil, err
	}
	metadataClient, err := metadata.NewForConfig(rest.AddUserAgent(rest.CopyConfig(config), "metadata-informers"))
	if err != nil {
		return nil, err
	}
	m.informers = informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithTransform(withoutManagedFields))
	m.metadata = metadatainformer.NewSharedInformerFactoryWithOptions(
		metadataClient, resync, metadatainformer.WithTransform(withoutManagedFields))
	m.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	return m, nil
}

// withoutManagedFields drops what takes much memory and no controller reads.
func withoutManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// client returns a client with its own rate limit, which shows the name of the controller to the audit log.
func (m *manager) client(name string) (kubernetes.Interface, error) {
	config := rest.AddUserAgent(rest.CopyConfig(m.config), name)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return kubernetes.NewForConfig(config)
}

func (m *manager) waitForAPIServer(ctx context.Context) error {
	client, err := m.client("wait-for-api-server")
	if err != nil {
		return err
	}
	var last error
	ready := func(ctx context.Context) (bool, error) {
		last = client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		return last == nil, nil
	}
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 30*time.Second, true, ready)
	if err != nil {
		return fmt.Errorf("the API server is not ready: %w (%w)", err, last)
	}
	return nil
}

// run creates the controllers, starts the informers that they asked for, and returns when the controllers have ended.
func (m *manager) run(ctx context.Context, names []string) error {
	var running []controller
	for _, name := range names {
		create, known := controllers[name]
		if !known {
			return fmt.Errorf("--controllers: unknown controller %q", name)
		}
		client, err := m.client(name)
		if err != nil {
			return err
		}
		made, err := create(ctx, m, client)
		if err != nil {
			return fmt.Errorf("cannot create the %s: %w", name, err)
		}
		running = append(running, made)
	}
	m.informers.Start(ctx.Done())
	m.metadata.Start(ctx.Done())
	close(m.started)
	var group sync.WaitGroup
	for _, run := range running {
		group.Go(func() { run(ctx) })
	}
	// Custom resources appear and disappear.
	group.Go(func() { wait.UntilWithContext(ctx, func(context.Context) { m.mapper.Reset() }, 30*time.Second) })
	group.Wait()
	return nil
}
