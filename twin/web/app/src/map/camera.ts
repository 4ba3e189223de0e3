/** The camera as a view: the point on the ground that it looks at, how far away, from where. */

import {
  BoundingSphere,
  Cartesian2,
  Cartesian3,
  Cartographic,
  HeadingPitchRange,
  Math as CesiumMath,
  Matrix4,
  OrthographicFrustum,
  PerspectiveFrustum,
  Transforms,
  type CesiumWidget,
  type Scene,
} from '@cesium/engine';
import type { CityConfig } from '../config';
import { onTerrain, type Mode, type State, type Store, type View } from '../state';
import { groundUnder, type Ground } from './ground';

const NEAREST = 20;
const FLIGHT_SECONDS = 1.2;
const METRES_PER_DEGREE = 111_320;

function still(): boolean {
  return window.matchMedia('(prefers-reduced-motion: reduce)').matches;
}

/** The diagonal of the surroundings in metres: how far the camera may draw back. */
function farthest(surroundings: CityConfig['surroundings']): number {
  const [west, south, east, north] = surroundings;
  return Math.max(
    1500,
    Cartesian3.distance(Cartesian3.fromDegrees(west, south), Cartesian3.fromDegrees(east, north)) * 1.1,
  );
}

/** So many metres to the right of the picture, as metres east and north; the heading is in degrees. */
export function beside(heading: number, metres: number): [east: number, north: number] {
  const angle = CesiumMath.toRadians(heading);
  return [Math.cos(angle) * metres, -Math.sin(angle) * metres];
}

/** Where on the ground one looks through a place so many metres above it: metres east, north and farther from the eye.
 * The heading is in degrees, the pitch in radians. */
export function behind(heading: number, pitch: number, above: number): { east: number; north: number; farther: number } {
  const angle = CesiumMath.toRadians(heading);
  const along = above / Math.tan(-pitch);
  return { east: Math.sin(angle) * along, north: Math.cos(angle) * along, farther: above / Math.sin(-pitch) };
}

/** Metres: a change of the ground that is seen. */
const SEEN = 0.05;

/** Where the camera was put, for which view, and how high the ground there was. */
interface Held {
  view: View;
  ground: number;
  position: Cartesian3;
  direction: Cartesian3;
}

export class CityCamera {
  private readonly scene: Scene;
  private readonly limit: number;
  private pitch = -45;
  private mode: Mode = '3d';
  private applying = false;
  private held: Held | null = null;

  constructor(
    widget: CesiumWidget,
    private readonly config: CityConfig,
    private readonly store: Store,
    private readonly ground: Ground,
  ) {
    this.scene = widget.scene;
    this.limit = farthest(config.surroundings);
    const controller = this.scene.screenSpaceCameraController;
    controller.minimumZoomDistance = NEAREST;
    controller.maximumZoomDistance = this.limit;
    controller.maximumTiltAngle = CesiumMath.toRadians(82);
    controller.inertiaZoom = controller.inertiaSpin = controller.inertiaTranslate = still() ? 0 : 0.6;
    this.scene.camera.percentageChanged = 0.02;
    this.scene.camera.moveEnd.addEventListener(() => this.settle());
    this.apply(store.get());
    ground.follow(() => this.stand());
    store.subscribe((state, changed) => {
      if (changed.has('mode') || (changed.has('view') && !this.applying)) this.apply(state);
    });
  }

  /** Where the camera stands now. */
  view(): View {
    const { camera, canvas } = this.scene;
    const centre = new Cartesian2(canvas.clientWidth / 2, canvas.clientHeight / 2);
    const hit = groundUnder(this.scene, centre);
    const at = Cartographic.fromCartesian(hit ?? camera.positionWC);
    const range =
      camera.frustum instanceof OrthographicFrustum
        ? (camera.frustum.width ?? camera.positionCartographic.height)
        : hit
          ? Cartesian3.distance(hit, camera.positionWC)
          : camera.positionCartographic.height;
    return {
      lon: CesiumMath.toDegrees(at.longitude),
      lat: CesiumMath.toDegrees(at.latitude),
      height: range,
      heading: CesiumMath.toDegrees(camera.heading) % 360,
      pitch: this.mode === '2d' ? this.pitch : CesiumMath.toDegrees(camera.pitch),
    };
  }

  /** The view that was asked for, on a terrain, while nobody has moved the camera since. */
  private asked(): View | null {
    const { camera } = this.scene;
    if (!this.held || !onTerrain(this.store.get())) return null;
    const { view, position, direction } = this.held;
    const unmoved =
      Cartesian3.equalsEpsilon(camera.positionWC, position, 0, 0.1) &&
      Cartesian3.equalsEpsilon(camera.directionWC, direction, 0, 1e-4);
    return unmoved ? view : null;
  }

  /** The ground is known better: what is looked at keeps its distance, unless the camera was moved since. */
  private stand(): void {
    const view = this.asked();
    if (view && Math.abs(this.ground.at(view.lon, view.lat) - this.held!.ground) > SEEN) this.place(view);
  }

  /** `aside`: how many pixels left of the middle it shall stand, because panels cover the right; `above`: metres above the
   * ground, on which the view is held, where it stands. */
  flyTo(lon: number, lat: number, range: number, aside = 0, above = 0): void {
    const now = this.view();
    const [right, ahead] = [beside(now.heading, aside * this.metresPerPixel(range)), behind(now.heading, this.offset(now).pitch, above)];
    const [east, north] = [right[0] + ahead.east, right[1] + ahead.north];
    const scale = Math.cos(CesiumMath.toRadians(lat));
    const height = Math.min(Math.max(range, NEAREST) + ahead.farther, this.limit);
    const target = { ...now, lon: lon + east / METRES_PER_DEGREE / scale, lat: lat + north / METRES_PER_DEGREE, height };
    if (this.mode === '2d' || still()) {
      this.place(target);
      this.settle();
      return;
    }
    this.scene.camera.flyToBoundingSphere(this.sphere(target), {
      duration: FLIGHT_SECONDS,
      offset: this.offset(target),
      complete: () => this.place(target),
    });
  }

  private metresPerPixel(range: number): number {
    const { clientWidth } = this.scene.canvas;
    const { frustum } = this.scene.camera;
    const wide = frustum instanceof PerspectiveFrustum ? 2 * range * Math.tan((frustum.fov ?? 1) / 2) : range;
    return wide / Math.max(clientWidth, 1);
  }

  zoom(factor: number): void {
    const now = this.view();
    this.place({ ...now, height: Math.min(Math.max(now.height * factor, NEAREST), this.limit) });
    this.settle();
  }

  north(): void {
    this.place({ ...this.view(), heading: 0 });
    this.settle();
  }

  private sphere(view: View): BoundingSphere {
    const { lon, lat } = view;
    return new BoundingSphere(Cartesian3.fromDegrees(lon, lat, this.ground.at(lon, lat)), 0);
  }

  private offset(view: View): HeadingPitchRange {
    const pitch = this.mode === '2d' ? -90 : Math.min(view.pitch, -8);
    return new HeadingPitchRange(CesiumMath.toRadians(view.heading), CesiumMath.toRadians(pitch), view.height);
  }

  private apply(state: Readonly<State>): void {
    const { camera, screenSpaceCameraController: controller } = this.scene;
    const view = state.view;
    this.pitch = view.pitch;
    this.mode = state.mode;
    controller.enableTilt = state.mode === '3d';
    if (state.mode === '2d') camera.switchToOrthographicFrustum();
    else camera.switchToPerspectiveFrustum();
    this.place(view);
  }

  private place(view: View): void {
    const { camera } = this.scene;
    const offset = this.offset(view);
    const east = Math.sin(offset.heading) * Math.cos(offset.pitch);
    const north = Math.cos(offset.heading) * Math.cos(offset.pitch);
    const back = new Cartesian3(-east * view.height, -north * view.height, -Math.sin(offset.pitch) * view.height);
    const frame = Transforms.eastNorthUpToFixedFrame(this.sphere(view).center);
    camera.cancelFlight();
    // lookAt() forgets the heading when it looks straight down
    camera.setView({
      destination: Matrix4.multiplyByPoint(frame, back, new Cartesian3()),
      orientation: { heading: offset.heading, pitch: offset.pitch, roll: 0 },
    });
    if (camera.frustum instanceof OrthographicFrustum) camera.frustum.width = view.height;
    this.held = {
      view,
      ground: this.ground.at(view.lon, view.lat),
      position: camera.positionWC.clone(),
      direction: camera.directionWC.clone(),
    };
    this.scene.requestRender();
  }

  /** After a move: back inside the surroundings if it left them, and the state follows. */
  private settle(): void {
    const [west, south, east, north] = this.config.surroundings;
    // not what is seen in the middle, which is another place until the ground has come
    const now = this.asked() ?? this.view();
    const kept = {
      ...now,
      lon: CesiumMath.clamp(now.lon, west, east),
      lat: CesiumMath.clamp(now.lat, south, north),
      height: Math.min(now.height, this.limit),
    };
    if (kept.lon !== now.lon || kept.lat !== now.lat || kept.height < now.height * 0.999) this.place(kept);
    this.applying = true;
    this.store.set({ view: kept });
    this.applying = false;
  }
}
