// Command controlplane is one real Kubernetes control plane in one process, for end-to-end tests.
//
// It links kube-apiserver, kube-controller-manager, kube-scheduler and etcd, and adds what needs
// machines in a real cluster: nodes that stay ready, pods that run, volumes and load balancers
// (kubelet.go, cloud.go). It needs no container runtime, no root, and no network but loopback.
//
// # Use
//
//	controlplane --dir DIR [--name NAME] [--port N] [--nodes N] [--node-labels K=V,…]
//	             [--pod-delay DURATION] [--etcd-quota BYTES] [--ready-file FILE] [--version]
//
//	--dir          everything it keeps: certificates, tokens, kubeconfigs, etcd's data, the log.
//	               An empty or absent folder is a new cluster; the folder of an earlier run is that
//	               cluster again, with its objects, credentials and authority (give --port to keep
//	               its address too). One process for each folder.
//	--name         the cluster's name (default "e2e"): its nodes are NAME-node-1, NAME-node-2, …
//	--port         of the API server on 127.0.0.1; 0 (the default) takes a free one. The socket is
//	               opened once and handed over, so that nobody else can take it meanwhile.
//	--nodes        how many (default 3), amd64 Linux with 64 CPUs and 256 GiB each.
//	--node-labels  for every node, on top of the well-known ones.
//	--pod-delay    how long a pod stays in each state it passes through (default 300ms).
//	--etcd-quota   how large etcd's data may get before it refuses to store more (default: etcd's own, 2 GiB).
//	--ready-file   gets the ready line as well, in one rename.
//
// # When ready
//
// Nothing but this line goes to stdout, once the API server, the controllers and every node are
// ready (one line; broken here):
//
//	{"event":"ready","name":"stg-01","context":"stg-01","server":"https://127.0.0.1:37629",
//	 "kubeconfig":"/tmp/x/kubeconfig","limitedKubeconfig":"/tmp/x/kubeconfig.limited",
//	 "version":"v1.35.4","nodes":3,"pid":4711,"log":"/tmp/x/controlplane.log","startupMs":5400}
//
// # Files in DIR
//
//	kubeconfig          cluster-admin (group system:masters, by token). Context, cluster and user are
//	                    named NAME, so several can be joined: KUBECONFIG=a/kubeconfig:b/kubeconfig.
//	kubeconfig.limited  user "limited" of group "limited", who may nothing until RBAC says so: for tests
//	                    of refused permissions. Its context is NAME-limited.
//	controlplane.log    what all the components say
//	pki/ca.crt, ca.key  the authority of the server, and of clients: whoever has a certificate of it is
//	                    the user of its common name, in the groups that are its organizations
//	pki/, etcd/         other keys, and data
//
// # How it ends
//
// On SIGTERM, SIGINT, or the end of stdin where stdin is a pipe or a socket: a parent that dies
// takes it along, however it dies, and it holds no child processes itself. It exits 0 within
// two seconds. If a component fails, it exits 1, with the reason on stderr.
//
// # How pods behave
//
// See kubelet.go. In short: a scheduled pod gets ready after two delays; one whose restartPolicy is
// not Always (a Job's) succeeds after a third; an image whose tag contains "broken", "crash", "unready"
// or "unmounted" goes wrong in that way for ever; a deleted pod goes at once.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/component-base/version"
)

type options struct {
	dir        string
	name       string
	port       int
	nodes      int
	nodeLabels map[string]string
	podDelay   time.Duration
	etcdQuota  int64
	readyFile  string
}

// readyLine is what a caller needs to know; its fields are described at the top.
type readyLine struct {
	Event             string `json:"event"`
	Name              string `json:"name"`
	Context           string `json:"context"`
	Server            string `json:"server"`
	Kubeconfig        string `json:"kubeconfig"`
	LimitedKubeconfig string `json:"limitedKubeconfig"`
	Version           string `json:"version"`
	Nodes             int    `json:"nodes"`
	PID               int    `json:"pid"`
	Log               string `json:"log"`
	StartupMs         int64  `json:"startupMs"`
}

// readyWithin bounds the start. It takes about five seconds of one CPU; the rest is for a busy machine.
const readyWithin = 3 * time.Minute

func main() {
	// client-go names a field manager after the program, so the controllers would own their fields as
	// "controlplane". In a real cluster almost all of those belong to the controller manager.
	program := os.Args[0]
	os.Args[0] = "kube-controller-manager"

	opts, err := parseFlags(program, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancelCause(ctx)
	defer stop()
	go func() {
		if waitForEndOfStdin() {
			cancel(nil)
		}
	}()

	// The components log to stderr, whatever they are told, and so does a panic: all that goes to the
	// log file. The real stderr is kept for the one line that says what went wrong.
	stderr := os.Stderr
	if err := run(ctx, cancel, opts, &stderr); err != nil {
		fmt.Fprintf(stderr, "controlplane %s: %v\n", opts.name, err)
		os.Exit(1)
	}
}

func parseFlags(program string, args []string) (*options, error) {
	o := &options{nodeLabels: map[string]string{}}
	fs := flag.NewFlagSet(filepath.Base(program), flag.ContinueOnError)
	fs.StringVar(&o.dir, "dir", "", "folder for certificates, kubeconfigs, data and log (required)")
	fs.StringVar(&o.name, "name", "e2e", "name of the cluster and of its kubeconfig context")
	fs.IntVar(&o.port, "port", 0, "port of the API server on 127.0.0.1; 0 takes a free one")
	fs.IntVar(&o.nodes, "nodes", 3, "number of nodes")
	fs.DurationVar(&o.podDelay, "pod-delay", 300*time.Millisecond, "how long a pod stays in each state it passes through")
	fs.Int64Var(&o.etcdQuota, "etcd-quota", 0, "size in bytes at which etcd stores nothing more; 0 is etcd's own")
	fs.StringVar(&o.readyFile, "ready-file", "", "file that gets the ready line as well")
	fs.Func("node-labels", "labels of every node, as k=v,k=v", func(s string) error {
		for _, pair := range strings.Split(s, ",") {
			k, v, ok := strings.Cut(pair, "=")
			if !ok || k == "" {
				return fmt.Errorf("%q is not of the form key=value", pair)
			}
			o.nodeLabels[k] = v
		}
		return nil
	})
	printVersion := fs.Bool("version", false, "print the version of Kubernetes and exit")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if *printVersion {
		fmt.Println(version.Get().GitVersion)
		os.Exit(0)
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("takes no arguments, got %q", fs.Args())
	}
	if o.dir == "" {
		return nil, errors.New("--dir is required")
	}
	if o.nodes < 0 || o.nodes > 250 {
		return nil, fmt.Errorf("--nodes is %d, must be between 0 and 250", o.nodes)
	}
	var err error
	o.dir, err = filepath.Abs(o.dir)
	return o, err
}

// run starts the parts in the order in which they need one another, waits, and stops them.
func run(ctx context.Context, cancel context.CancelCauseFunc, o *options, stderr **os.File) error {
	began := time.Now()
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	unlock, err := lockDir(o.dir)
	if err != nil {
		return err
	}
	defer unlock()
	logFile := filepath.Join(o.dir, "controlplane.log")
	if *stderr, err = redirectStderr(logFile); err != nil {
		return err
	}
	// Whatever fails first, while it starts or later, ends the whole; its reason is the context's cause.
	fail := func(part string) func(error) {
		return func(err error) {
			if err == nil {
				err = errors.New("ended by itself")
			}
			cancel(fmt.Errorf("%s: %w (see %s)", part, err, logFile))
		}
	}

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	if err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	creds, err := ensureCredentials(o, "https://"+listener.Addr().String())
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	etcd, err := startEtcd(filepath.Join(o.dir, "etcd"), o.etcdQuota)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	apiserverDone := startAPIServer(ctx, listener, etcd.url, creds, fail("kube-apiserver"))

	if err := bringUp(ctx, o, creds, began, fail); err != nil {
		fail("start")(err)
	}

	<-ctx.Done()
	within(500*time.Millisecond, func() { <-apiserverDone })
	within(time.Second, etcd.stop)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// bringUp starts what needs the API server, and says so when all of it is ready.
func bringUp(ctx context.Context, o *options, creds *credentials, began time.Time, fail func(part string) func(error)) error {
	client, err := newClient(creds)
	if err != nil {
		return err
	}
	waiting, done := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not ready within %s", readyWithin))
	defer done()
	if err := waitForAPIServer(waiting, client); err != nil {
		return err
	}
	startControllerManager(ctx, creds, fail("kube-controller-manager"))
	startScheduler(ctx, creds, fail("kube-scheduler"))
	// Everything is seen again now and then, so that what failed on a busy machine is made up for.
	informers := informers.NewSharedInformerFactory(client, 30*time.Second)
	nodes, err := startKubelet(ctx, o, creds, client, informers)
	if err != nil {
		return err
	}
	if err := startCloud(ctx, client, informers); err != nil {
		return err
	}
	informers.Start(ctx.Done())
	if err := nodes.waitReady(waiting); err != nil {
		return err
	}
	return announce(o, creds, began)
}

// within gives f a while to end, and goes on without it afterwards: requests in flight may finish, but
// watches that clients keep open are no reason to stay, and every write that was acknowledged is in
// etcd's log.
func within(d time.Duration, f func()) {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

func announce(o *options, creds *credentials, began time.Time) error {
	line, err := json.Marshal(readyLine{
		Event:             "ready",
		Name:              o.name,
		Context:           o.name,
		Server:            creds.server,
		Kubeconfig:        creds.kubeconfig,
		LimitedKubeconfig: creds.limitedKubeconfig,
		Version:           version.Get().GitVersion,
		Nodes:             o.nodes,
		PID:               os.Getpid(),
		Log:               filepath.Join(o.dir, "controlplane.log"),
		StartupMs:         time.Since(began).Milliseconds(),
	})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if o.readyFile != "" {
		if err := writeFile(o.readyFile, line); err != nil {
			return err
		}
	}
	_, err = os.Stdout.Write(line)
	return err
}

// waitForEndOfStdin reports true when a pipe or socket at stdin has been closed by its other end. A
// terminal, a file or /dev/null says nothing about the parent, so it reports false at once.
func waitForEndOfStdin() bool {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return false
	}
	io.Copy(io.Discard, os.Stdin)
	return true
}

func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is in use by another process", dir)
	}
	return func() { f.Close() }, nil
}

func redirectStderr(path string) (previous *os.File, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Dup(2)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	previous = os.NewFile(uintptr(fd), "stderr")
	return previous, syscall.Dup3(int(f.Fd()), 2, 0)
}

// writeFile replaces a file in one step, so that nobody reads half of it.
func writeFile(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
