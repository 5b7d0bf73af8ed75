import { typeUrls } from '../../src/discovery/resource-type.ts'
import { assignmentMessage, clusterMessage, listenerMessage, routeMessage, type XdsMessage } from './xds-resources.ts'

/** The `xdstp:` name of a resource of an authority. */
export function federatedName(kind: keyof typeof typeUrls, authority: string, id: string): string {
  return `xdstp://${authority}/${typeUrls[kind].replace('type.googleapis.com/', '')}/${id}`
}

/** A listener of an authority, and all that it leads to. */
export function federatedMessages(authority: string, id: string, ...addresses: readonly string[]): XdsMessage[] {
  const name = (kind: keyof typeof typeUrls) => federatedName(kind, authority, id)
  const cluster = clusterMessage(name('cluster'))
  if (cluster.edsClusterConfig) cluster.edsClusterConfig.serviceName = name('clusterLoadAssignment')
  return [
    listenerMessage(name('listener'), name('routeConfiguration')),
    routeMessage(name('routeConfiguration'), name('cluster')),
    cluster,
    assignmentMessage(name('clusterLoadAssignment'), ...addresses),
  ]
}
