// Registry is the container registry of the test cluster: it takes whatever is
// pushed, and keeps blobs in a folder. Manifests are in memory: whoever tests
// pushes first.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5000", "address on loopback")
	dir := flag.String("dir", "", "folder of blobs")
	flag.Parse()

	server := &http.Server{
		Addr: *listen,
		Handler: registry.New(
			registry.WithBlobHandler(registry.NewDiskBlobHandler(*dir)),
			registry.Logger(log.New(os.Stdout, "", log.LstdFlags))),
		ReadHeaderTimeout: 10 * time.Second,
	}

	log.Fatal(server.ListenAndServe())
}
