/** The name of a cluster, as Istio gives them: `outbound|9080|v1|reviews.default.svc.cluster.local`. */
export const clusterName = (port: number, subset: string, host: string): string => `outbound|${port}|${subset}|${host}`

/** The name of the route configuration of a service's port. */
export const routeName = (port: number, host: string): string => clusterName(port, '', host)
