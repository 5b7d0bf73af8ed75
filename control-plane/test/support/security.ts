/** An object of `security.istio.io`. */
export const securityYaml = (kind: string, name: string, spec: string, more = ''): string => `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: ${name}${more} }
spec: ${spec}
---
`
