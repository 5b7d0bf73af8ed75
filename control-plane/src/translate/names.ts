import type { MeshPort, MeshService } from '../model/mesh-service.ts'
import type { View } from './view.ts'

/** Every name by which a caller may mean a service, the full one first. A short name means the service of the caller's namespace. */
export function namesOf({ host, name, namespace, hasShortNames }: MeshService, view: View): readonly string[] {
  if (!hasShortNames) return [host]
  const short = view.namespace === namespace ? [name] : []
  return [host, ...short, `${name}.${namespace}`, `${name}.${namespace}.svc`]
}

/** The ports that are routed. */
export const routedPorts = ({ ports }: MeshService): readonly MeshPort[] => ports.filter(({ protocol }) => protocol !== 'tcp')

/** The port that a name without port means: 80, else the first that is routed. */
export function defaultPort(service: MeshService): MeshPort | undefined {
  const ports = routedPorts(service)
  return ports.find(({ number }) => number === 80) ?? ports[0]
}

/**
 * The domains of a virtual host: names and addresses, the full name with a final dot too.
 *
 * @param port appended to each as well, where hosts are matched with their port
 */
export function domainsOf(names: readonly string[], addresses: readonly string[], port: number | undefined): readonly string[] {
  const dotted = names.flatMap((name, index) => (index === 0 && name.includes('.') ? [name, `${name}.`] : [name]))
  const bare = [...dotted, ...addresses.map(address => (address.includes(':') ? `[${address}]` : address))]
  return port === undefined ? bare : bare.flatMap(each => [each, `${each}:${port}`])
}
