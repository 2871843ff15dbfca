// Command controlplane is the Kubernetes control plane of the tests and the demo in one program: etcd, kube-apiserver,
// kube-controller-manager and kubectl. It acts as the program by whose name it is called.
//
// One program is compiled and linked once. Four programs contain the same packages and are linked four times, and the
// linker takes a large part of the time. `cargo xtask cluster` builds it. Nothing here is part of the operator.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	programs := map[string]func(){
		"etcd":                    func() { etcdmain.Main(os.Args) },
		"kube-apiserver":          func() { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) },
		"kube-controller-manager": runControllerManager,
		"kubectl":                 runKubectl,
	}
	name := filepath.Base(os.Args[0])
	run, known := programs[name]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(programs)), ", ")
		fmt.Fprintf(os.Stderr, "%s: create a link to this program with one of these names and run it: %s\n", name, names)
		os.Exit(2)
	}
	run()
}

func runKubectl() {
	// kubectl reads files and looks for plugins while it creates its commands. Messages about that obey `-v` only if
	// the log level is set before.
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
