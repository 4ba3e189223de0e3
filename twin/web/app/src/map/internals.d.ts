/**
 * The private parts of @cesium/engine 26.3.0 that tile refresher, painter, element, shapes, parts-content, choice, glass and freed lean on, as types.
 * The engine is pinned to that version; browser tests fail when one of these changes its meaning.
 */
export interface TileContent {
  readonly ready: boolean;
  update(tileset: unknown, frameState: FrameState): void;
  destroy(): void;
  isDestroyed(): boolean;
}

/** What is behind a picked feature: its content, and the table of its metadata. */
export interface EngineFeature {
  /** Of a batch table with classes. */
  getExactClassName?(): string | undefined;
  content?: TileContent & {
    url?: string;
    batchTable?: {
      _propertyTable?: { class?: { id: string; name?: string; properties?: Readonly<Record<string, { name?: string }>> } };
    };
  };
}

/** A part of a vector tile. */
export interface VectorContent extends TileContent {
  readonly pointsLength: number;
  readonly trianglesLength: number;
  readonly geometryByteLength: number;
  readonly batchTables: unknown[];
  applyStyle(style: import('@cesium/engine').Cesium3DTileStyle): void;
}

export interface FrameState {
  readonly frameNumber: number;
  passes: { render: boolean };
  commandList: unknown[];
  afterRender: (() => boolean)[];
}

/** Whose state of the last frame makes what is drawn in the next. */
export interface FramedScene {
  readonly frameState: FrameState;
}

export interface EngineTile {
  content: TileContent | undefined;
  contentReady: boolean;
  hasEmptyContent: boolean;
  hasRenderableContent: boolean;
  lastStyleTime: number;
  clippingPlanesDirty: boolean;
  clippingPolygonsDirty: boolean;
  _clippingPlanesState: number;
  _clippingPolygonsState: number;
  _content: TileContent | undefined;
  _contentState: number;
  _selectedFrame: number;
  _contentResource: import('@cesium/engine').Resource | undefined;
  isDestroyed(): boolean;
}

export interface RuntimeContentCodec {
  missingTilePolicy: { statusCodes: number[] };
  createContent(
    tileset: unknown,
    tile: EngineTile,
    resource: import('@cesium/engine').Resource,
    bytes: ArrayBuffer,
  ): Promise<TileContent>;
}

/** A node of a tree of tiles, as the JSON of a tileset describes it. */
export interface TileHeader {
  boundingVolume: { region: number[] };
  geometricError: number;
  /** That of the node above where it says none. */
  refine?: 'REPLACE' | 'ADD';
  content?: { uri: string };
}

export interface ChosenTile {
  readonly tileset: ChosenTileset;
  readonly children: ChosenTile[];
  readonly isVisible: boolean;
  readonly contentAvailable: boolean;
  readonly contentUnloaded: boolean;
  readonly contentFailed: boolean;
  readonly hasRenderableContent: boolean;
  readonly refine: number;
  readonly _screenSpaceError: number;
  readonly _selectedFrame: number;
  readonly _requestedFrame: number;
  readonly _header: TileHeader;
  _depth: number;
  geometricError: number;
  _geometricError: number;
  updatePriority(): void;
}

export interface ChosenTileset {
  readonly root: ChosenTile;
  readonly resource: unknown;
  readonly memoryAdjustedScreenSpaceError: number;
  readonly statistics: { numberOfTilesTotal: number };
  readonly _requestedTiles: ChosenTile[];
  readonly _selectedTiles: ChosenTile[];
  readonly _selectedTilesToStyle: ChosenTile[];
  readonly _emptyTiles: ChosenTile[];
  hasMixedContent: boolean;
  getTraversal(options: { pass: number }): object;
}

export interface Frame {
  readonly passes: { pick: boolean };
  readonly frameNumber: number;
  /** Seconds. */
  readonly camera: { timeSinceMoved: number };
}

/** What the engine's own ways of choosing are made of. */
export interface Traversal {
  updateTile(tile: ChosenTile, frame: Frame): void;
  loadTile(tile: ChosenTile, frame: Frame): void;
  touchTile(tile: ChosenTile, frame: Frame): void;
  visitTile(tile: ChosenTile, frame: Frame): void;
  selectTile(tile: ChosenTile, frame: Frame): void;
}

/** What is drawn at once; `owner` made it. */
export interface DrawCommand {
  readonly owner: unknown;
  pass: number;
  renderState: object;
}

export interface EngineTileset {
  readonly style: import('@cesium/engine').Cesium3DTileStyle | undefined;
  statistics: { incrementLoadCounts(content: TileContent): void; decrementLoadCounts(content: TileContent): void };
  _runtimeContentCodec?: RuntimeContentCodec;
}

/** Of a tile of the globe; as glass it is drawn by others that are derived of it. */
export interface GlassCommand extends DrawCommand {
  readonly owner: { data: { renderedMesh: { indices: { length: number } } } };
  count: number;
  derivedCommands: {
    globeTranslucency?: Partial<
      Record<'depthOnlyFrontFaceCommand' | 'translucentFrontFaceCommand' | 'opaqueBackFaceCommand', GlassCommand>
    >;
  };
}

/** A picture on the globe; the last who lets go of it destroys it. */
export interface EngineImagery {
  readonly referenceCount: number;
  imageryLayer: { isDestroyed(): boolean; removeImageryFromCache(imagery: EngineImagery): void };
  releaseReference(): number;
}

export interface GlobeTranslucencyState {
  updateDerivedCommands(command: GlassCommand, frameState: FrameState): void;
}

export interface ClippedTileset {
  /** From the frame in which its clipping planes stand to that of the earth. */
  readonly clippingPlanesOriginMatrix: import('@cesium/engine').Matrix4;
}
