/** A route of the Gateway API for the service `reviews` of the namespace `default`. `more` goes into its metadata. */
export const routeYaml = (
  kind: 'HTTPRoute' | 'GRPCRoute',
  rules: string,
  more = '',
  parent = '',
): string => `apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: route${more} }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, namespace: default${parent} }]
  rules: ${rules}
---
`
