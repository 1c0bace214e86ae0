package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/klog/v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// The components are not started through their commands: those install signal handlers and set up
// logging, each for a process of its own. Their flags are parsed into their options, and then they run.

func parse(sets cliflag.NamedFlagSets, args ...string) error {
	all := sets.FlagSet("all")
	for name, set := range sets.FlagSets {
		if name != "all" {
			all.AddFlagSet(set)
		}
	}
	return all.Parse(args)
}

type etcdServer struct {
	url  string
	stop func()
}

// startEtcd gives one member that only this process talks to.
func startEtcd(dir string, quota int64) (*etcdServer, error) {
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Name = "default"
	cfg.Dir = dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = anyPort, anyPort
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.QuotaBackendBytes = quota
	cfg.LogLevel = "error"
	cfg.LogOutputs = []string{embed.StdErrLogOutput}
	// What survives is up to the page cache: it outlives a killed process, and a test machine's
	// power failure ends the test as well.
	cfg.UnsafeNoFsync = true
	// No follower will ever need to catch up, so that little of the log has to stay in memory.
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 1000, 100
	wal.SegmentSizeBytes = 8 << 20
	cfg.EnableGRPCGateway = false
	// Nobody else can win the election, so it need not wait long for others.
	cfg.TickMs, cfg.ElectionMs = 50, 250

	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.Server.ReadyNotify():
		if err := disarm(e.Server); err != nil {
			return nil, err
		}
		// Close would wait for the API server to hang up.
		return &etcdServer{url: "http://" + e.Clients[0].Addr().String(), stop: e.Server.Stop}, nil
	case err := <-e.Err():
		return nil, err
	case <-time.After(readyWithin):
		e.Close()
		return nil, fmt.Errorf("not ready within %s", readyWithin)
	}
}

// disarm forgets that there was no room: whoever starts it again has made some.
func disarm(server *etcdserver.EtcdServer) error {
	_, err := server.Alarm(context.Background(), &etcdserverpb.AlarmRequest{
		Action:   etcdserverpb.AlarmRequest_DEACTIVATE,
		Alarm:    etcdserverpb.AlarmType_NOSPACE,
		MemberID: uint64(server.MemberID()),
	})
	return err
}

func startAPIServer(ctx context.Context, listener net.Listener, etcd string, creds *credentials, failed func(error)) (done <-chan struct{}) {
	return start(ctx, failed, func() error {
		o := apiserveroptions.NewServerRunOptions()
		err := parse(o.Flags(),
			"--etcd-servers="+etcd,
			"--bind-address=127.0.0.1",
			"--advertise-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", listener.Addr().(*net.TCPAddr).Port),
			"--tls-cert-file="+creds.certFile,
			"--tls-private-key-file="+creds.keyFile,
			"--token-auth-file="+creds.tokenFile,
			"--client-ca-file="+creds.caFile,
			"--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file="+creds.serviceAccountKey,
			"--service-account-signing-key-file="+creds.serviceAccountKey,
			"--service-cluster-ip-range=10.96.0.0/16",
			// Pods do not really run, so nothing would use the tokens that this plugin mounts into them.
			"--disable-admission-plugins=ServiceAccount",
			"--allow-privileged=true",
			// Where the kubelet of kubelet.go serves logs.
			"--kubelet-preferred-address-types=ExternalIP",
			// Endpoints may not be on loopback, where this server is.
			"--endpoint-reconciler-type=none",
			"--profiling=false",
		)
		if err != nil {
			return err
		}
		o.SecureServing.Listener = listener
		if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
			return err
		}
		rest.SetDefaultWarningHandler(rest.NoWarnings{})
		completed, err := o.Complete(ctx)
		if err != nil {
			return err
		}
		if errs := completed.Validate(); len(errs) > 0 {
			return fmt.Errorf("%v", errs)
		}
		return apiserver.Run(ctx, completed)
	})
}

// newClient is for this program's own part, which is several components and need not wait in a queue.
func newClient(creds *credentials) (kubernetes.Interface, error) {
	config := rest.CopyConfig(creds.admin)
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	return kubernetes.NewForConfig(config)
}

func waitForAPIServer(ctx context.Context, client kubernetes.Interface) error {
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		status := 0
		client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status)
		return status == http.StatusOK, nil
	})
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}

func startControllerManager(ctx context.Context, creds *credentials, failed func(error)) {
	start(ctx, failed, func() error {
		o, err := controlleroptions.NewKubeControllerManagerOptions()
		if err != nil {
			return err
		}
		known, disabled, aliases := controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases()
		err = parse(o.Flags(known, disabled, aliases),
			"--kubeconfig="+creds.kubeconfig,
			"--secure-port=0",
			"--leader-elect=false",
			"--service-account-private-key-file="+creds.serviceAccountKey,
			"--root-ca-file="+creds.caFile,
			"--kube-api-qps=500",
			"--kube-api-burst=1000",
			"--profiling=false",
			// The nodes' leases are renewed by this very process: when they are late, the machine is busy
			// and nothing is wrong with the nodes.
			"--node-monitor-grace-period=5m",
			// All but those that have nothing to do here: volumes are never attached, nobody asks for
			// certificates or devices.
			"--controllers=*,-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller,"+
				"-certificatesigningrequest-signing-controller,-certificatesigningrequest-approving-controller,"+
				"-certificatesigningrequest-cleaner-controller,-podcertificaterequest-cleaner-controller,"+
				"-legacy-serviceaccount-token-cleaner-controller,-resourceclaim-controller,"+
				"-device-taint-eviction-controller,-node-ipam-controller,-ttl-controller",
		)
		if err != nil {
			return err
		}
		c, err := o.Config(ctx, known, disabled, aliases)
		if err != nil {
			return err
		}
		return controllers.Run(ctx, c.Complete())
	})
}

func startScheduler(ctx context.Context, creds *credentials, failed func(error)) {
	start(ctx, failed, func() error {
		o := scheduleroptions.NewOptions()
		err := parse(*o.Flags,
			"--kubeconfig="+creds.kubeconfig,
			"--secure-port=0",
			"--leader-elect=false",
			"--kube-api-qps=500",
			"--kube-api-burst=1000",
			"--profiling=false",
		)
		if err != nil {
			return err
		}
		c, s, err := scheduler.Setup(ctx, o)
		if err != nil {
			return err
		}
		return scheduler.Run(ctx, c, s)
	})
}

// start runs a component until ctx ends; if the component ends before that, it has failed.
func start(ctx context.Context, failed func(error), run func() error) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(); ctx.Err() == nil {
			failed(err)
		}
	}()
	return done
}

// logUnlessDone logs what went wrong, unless it did because everything is coming to its end.
func logUnlessDone(ctx context.Context, err error, keysAndValues ...any) {
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "Failed, and will be tried again", keysAndValues...)
	}
}
