import type { AdsRequest, AdsResponse, XdsProtocol } from './discovery-message.ts'
import type { XdsNode } from './xds-node.ts'
import type { XdsStreamHandler } from './xds-stream.ts'

/** How one stream to a control plane is opened. */
export interface AdsTransport {
  /** Begins a stream. The handler is called later, never from here; a failure to open is told to it, too. */
  open(protocol: XdsProtocol, handler: AdsStreamHandler): AdsStream
  /** Ends what the streams share. */
  close(): void
}

/** A stream as its user sees it. */
export interface AdsStream {
  /** Sends, once it can. The node goes with the first request of a stream. */
  send(request: AdsRequest, node: XdsNode | undefined): void
  /** Ends the stream; the handler hears nothing more. */
  cancel(): void
}

/** What a stream tells. */
export type AdsStreamHandler = XdsStreamHandler<AdsResponse>
