/** What calls are addressed to: the authority of the calls, and by whom it is known. */
export interface TargetName {
  /** Of the bootstrap (gRFC A47); `undefined`: the control plane at its top. */
  readonly xdsAuthority: string | undefined
  /** `host` or `host:port`, as in a Host header. */
  readonly authority: string
}

const federated = /^xds:\/\/([^/]+)\/(.+)$/s

/** Reads what is watched: an authority as it stands, or `xds://AUTHORITY-OF-THE-BOOTSTRAP/authority`. */
export function parseTargetName(watched: string): TargetName {
  const [, xdsAuthority, authority] = federated.exec(watched) ?? []
  if (xdsAuthority === undefined || authority === undefined) return { xdsAuthority: undefined, authority: watched }
  return { xdsAuthority: decode(xdsAuthority), authority: decode(authority) }
}

/** A target of gRPC (`xds:///name`, `xds://authority/name`) for a name that is watched. */
export function targetUri(watched: string): string {
  return federated.test(watched) ? watched : `xds:///${watched}`
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
