// Images in webui's galleries and the players below them, as one instrument.
//
// The player of the selected image is marked, and over the large image a playhead runs. A click on the image plays
// from that moment; its lower edge is a slider. Webui's own click, which opens the lightbox, is a double click then, or the
// button in the image's corner; Settings -> Riffusion gives it back. Space plays and pauses.
//
// Images and players are matched by the image's file name, never by their order: grids come first, masks between.

(() => {
    "use strict";

    const TABS = ["txt2img", "img2img"];
    const PLAYERS = ".riffusion-clip audio, .riffusion-cell audio"; // all of ours, also in our own tab
    const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");
    const KEY_STEPS = 40; // from one end to the other with an arrow key

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const setting = (name) => (typeof opts === "object" && opts ? opts[name] : undefined);
    const translated = (text) => (typeof localization === "object" && localization && localization[text]) || text;

    // The file name in an address, as it stands there and decoded: gradio does not encode what webui gives it.
    function fileNames(address) {
        const names = [address.split(/[?#]/)[0]];
        try {
            names.push(decodeURIComponent(names[0]));
        } catch {
            // a percent sign of the name itself
        }
        return names.map((name) => name.split(/[\\/]/).pop());
    }

    const duration = (audio) => (Number.isFinite(audio.duration) ? audio.duration : 0);
    const play = (audio) => audio.play().catch(() => {}); // the player itself shows what is wrong
    const toggle = (audio) => (audio.paused ? play(audio) : audio.pause());

    function seek(audio, share) {
        if (audio.readyState > 0) {
            audio.currentTime = Math.min(Math.max(share, 0), 1) * duration(audio);
        } else {
            audio.addEventListener("loadedmetadata", () => seek(audio, share), {once: true});
        }
    }

    // How much of the free room is before the image: object-position as browsers compute it, "50% 0%", "10px 50%" or
    // "calc(100% - 10px) 50%". Of less room than none, a share is negative, as it should be.
    function roomBefore(position, free) {
        let before = 0;
        for (const [, sign, number, unit] of position.matchAll(/([+-]?)\s*([\d.]+)(%|px)/g)) {
            before += (sign === "-" ? -1 : 1) * Number(number) * (unit === "%" ? free / 100 : 1);
        }
        return before;
    }

    // Where the image itself is within its element: gradio fits it in with bars at two sides, SD.Next with one below.
    function drawnBox(image) {
        const box = image.getBoundingClientRect();
        const {naturalWidth, naturalHeight} = image;
        if (!naturalWidth || !["contain", "scale-down"].includes(getComputedStyle(image).objectFit)) {
            return box;
        }
        let scale = Math.min(box.width / naturalWidth, box.height / naturalHeight);
        if (getComputedStyle(image).objectFit === "scale-down") {
            scale = Math.min(scale, 1);
        }
        const [width, height] = [naturalWidth * scale, naturalHeight * scale];
        const [across, down] = getComputedStyle(image).objectPosition.match(/calc\([^)]*\)|\S+/g);
        const [x, y] = [roomBefore(across, box.width - width), roomBefore(down, box.height - height)];
        return new DOMRect(box.x + x, box.y + y, width, height);
    }

    // One gallery, with the timeline that lies over its large image.
    class View {
        constructor(gallery, tab) {
            this.gallery = gallery;
            this.tab = tab;
            this.image = null;
            this.audio = null;
            this.frame = 0; // asked for, until it comes
            this.pressed = false;
            this.beforeClick = null; // where the sound was, until a click is known not to be the first half of two
            this.passThrough = false; // a click through to webui
            this.build();
            this.mutations = new MutationObserver((records) => {
                if (records.some((record) => !this.timeline.contains(record.target))) {
                    this.match();
                }
            });
            this.mutations.observe(gallery, {
                childList: true,
                subtree: true,
                attributes: true,
                attributeFilter: ["src", "class"],
            });
            this.sizes = new ResizeObserver(() => this.place());
            this.sizes.observe(gallery);
            this.match();
        }

        build() {
            this.timeline = document.createElement("div");
            this.timeline.className = "riffusion-timeline";
            this.timeline.hidden = true;
            this.timeline.innerHTML =
                '<div class="riffusion-strip" role="slider" tabindex="0" aria-valuemin="0"></div>' +
                '<div class="riffusion-played"></div><div class="riffusion-playhead"></div>' +
                '<button type="button" class="riffusion-larger">\u2922</button>';
            this.strip = this.timeline.firstElementChild;
            this.strip.title = translated("Play from here. Space plays and pauses.");
            this.strip.addEventListener("pointerdown", (event) => this.press(event));
            this.strip.addEventListener("pointermove", (event) => this.drag(event));
            this.strip.addEventListener("mousedown", (event) => event.preventDefault()); // it would take the focus
            this.strip.addEventListener("click", (event) => this.tap(event));
            this.strip.addEventListener("keydown", (event) => this.key(event));
            this.larger = this.timeline.lastElementChild;
            this.larger.title = translated("Open the image in the viewer");
            this.larger.setAttribute("aria-label", this.larger.title);
            this.larger.addEventListener("click", (event) => {
                event.stopPropagation();
                this.enlarge();
            });
            this.listeners = new AbortController();
            for (const type of ["click", "dblclick"]) {
                // On its way down: webui listens at the image itself, gradio around it.
                const options = {capture: true, signal: this.listeners.signal};
                this.gallery.addEventListener(type, (event) => this.clicked(event), options);
            }
        }

        drop() {
            this.listeners.abort();
            this.hint("");
            this.mutations.disconnect();
            this.sizes.disconnect();
            cancelAnimationFrame(this.frame);
            this.timeline.remove();
        }

        // Finds the large image and its player; called whenever either may have changed.
        match() {
            const images = [...this.gallery.querySelectorAll(".preview img")];
            const image = images.find((candidate) => !candidate.closest(".thumbnails")) || null;
            const clip = image ? this.clipOf(image) : null;
            for (const item of root().querySelectorAll(`#${this.tab}_riffusion_players .riffusion-clip`)) {
                item.classList.toggle("riffusion-selected", item === clip);
                if (item === clip) {
                    item.setAttribute("aria-current", "true");
                } else {
                    item.removeAttribute("aria-current");
                }
            }
            if (image !== this.image) {
                if (this.image) {
                    this.sizes.unobserve(this.image);
                    this.hint("");
                }
                if (image) {
                    this.sizes.observe(image);
                }
                this.image = image;
            }
            this.audio = clip && clip.querySelector("audio");
            if (this.audio) {
                const label = `${translated("Position in the sound of the image")}: ${this.audio.getAttribute("aria-label")}`;
                this.strip.setAttribute("aria-label", label);
            }
            if (this.timeline.parentNode !== this.gallery) {
                this.gallery.append(this.timeline);
            }
            this.place();
        }

        clipOf(image) {
            const clips = [...root().querySelectorAll(`#${this.tab}_riffusion_players .riffusion-clip[data-picture]`)];
            const names = fileNames(image.getAttribute("src") || "").filter(Boolean);
            const named = clips.find((clip) => names.includes(clip.dataset.picture));
            // An image that webui did not save has a name that nobody knew before. Alone it can still be told.
            const alone = clips.length === 1 && !clips[0].dataset.picture && this.thumbnails().length === 1;
            return named || (alone ? clips[0] : null);
        }

        thumbnails() {
            return this.gallery.querySelectorAll(".preview .thumbnail-small");
        }

        place() {
            const box = this.audio ? drawnBox(this.image) : null;
            this.timeline.hidden = !box || !box.width || !box.height;
            this.whole = !this.timeline.hidden && setting("riffusion_click_plays") !== false;
            this.larger.hidden = !this.whole || setting("js_modal_lightbox") === false;
            this.hint(this.whole ? translated("Click: play from here. Double click: open the viewer.") : "");
            if (this.timeline.hidden) {
                return;
            }
            const outer = this.gallery.getBoundingClientRect();
            const style = this.timeline.style;
            style.left = `${box.x - outer.x - this.gallery.clientLeft + this.gallery.scrollLeft}px`;
            style.top = `${box.y - outer.y - this.gallery.clientTop + this.gallery.scrollTop}px`;
            style.width = `${box.width}px`;
            style.height = `${box.height}px`;
            this.show();
        }

        // What a click on the image does, to be seen before it.
        hint(text) {
            if (this.image && this.image.title !== text) {
                this.image.title = text;
                this.image.classList.toggle("riffusion-seeks", text !== "");
            }
        }

        show() {
            const {audio, strip} = this;
            const [at, all] = [audio.currentTime, duration(audio)];
            this.timeline.style.setProperty("--riffusion-at", all ? Math.min(at / all, 1) : 0);
            const text = `${at.toFixed(1)} / ${all.toFixed(1)} s`;
            if (strip.getAttribute("aria-valuetext") !== text) {
                strip.setAttribute("aria-valuemax", all.toFixed(1));
                strip.setAttribute("aria-valuenow", at.toFixed(1));
                strip.setAttribute("aria-valuetext", text);
            }
            if (!this.frame && !audio.paused && !REDUCED_MOTION.matches) {
                this.frame = requestAnimationFrame(() => {
                    this.frame = 0;
                    if (this.audio && !this.timeline.hidden) {
                        this.show();
                    }
                });
            }
        }

        seekTo(event) {
            const box = this.timeline.getBoundingClientRect();
            seek(this.audio, (event.clientX - box.x) / box.width);
        }

        start(event) {
            // As after a click in the gallery: left and right choose the image, Space plays.
            const chosen = [...this.thumbnails()].find((item) => item.classList.contains("selected"));
            (chosen || this.strip).focus({preventScroll: true});
            this.seekTo(event);
            play(this.audio);
        }

        // A click on the large image, before anybody else hears of it.
        clicked(event) {
            if (event.target !== this.image || !this.whole || this.passThrough || event.button !== 0) {
                return;
            }
            const box = drawnBox(this.image);
            const [x, y] = [event.clientX, event.clientY];
            const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
            if (!inside || event.ctrlKey || event.shiftKey || event.altKey || event.metaKey) {
                return;
            }
            event.preventDefault();
            event.stopPropagation();
            if (event.type === "dblclick") {
                this.undo();
                this.enlarge();
            } else if (event.detail < 2) {
                this.beforeClick = {audio: this.audio, paused: this.audio.paused, at: this.audio.currentTime};
                this.start(event);
            }
        }

        // Two clicks were one wish for the viewer, and none for sound.
        undo() {
            const before = this.beforeClick;
            if (before && before.audio === this.audio) {
                if (before.paused) {
                    this.audio.pause();
                }
                this.audio.currentTime = before.at;
            }
            this.beforeClick = null;
        }

        // As webui does at a click.
        enlarge() {
            this.passThrough = true;
            this.image.click();
            this.passThrough = false;
        }

        // A mouse plays when it is pressed, a finger when it is lifted: it may be about to scroll the page.
        press(event) {
            this.pressed = event.pointerType !== "touch" && event.button === 0;
            if (this.pressed) {
                this.strip.setPointerCapture(event.pointerId);
                this.start(event);
            }
        }

        tap(event) {
            event.stopPropagation(); // webui asks its server at each click in the gallery
            if (event.detail === 0) {
                toggle(this.audio); // of a screen reader, at no place
            } else if (!this.pressed) {
                this.start(event);
            }
            this.pressed = false;
        }

        drag(event) {
            if (this.strip.hasPointerCapture(event.pointerId)) {
                this.seekTo(event);
            }
        }

        key(event) {
            const all = duration(this.audio);
            const at = all ? this.audio.currentTime / all : 0;
            const target = {
                ArrowLeft: at - 1 / KEY_STEPS,
                ArrowDown: at - 1 / KEY_STEPS,
                ArrowRight: at + 1 / KEY_STEPS,
                ArrowUp: at + 1 / KEY_STEPS,
                PageDown: at - 5 / KEY_STEPS,
                PageUp: at + 5 / KEY_STEPS,
                Home: 0,
                End: 1,
            }[event.key];
            if (target === undefined || event.ctrlKey || event.altKey || event.metaKey) {
                return;
            }
            event.preventDefault();
            event.stopPropagation(); // left and right are the gallery's elsewhere
            seek(this.audio, target);
        }

        // Whether Space at this element is for the image's sound: not at other thumbnails and the gallery's buttons.
        owns(element) {
            return (
                this.audio &&
                this.gallery.contains(element) &&
                element.matches(".riffusion-strip, .preview, .image-button, .thumbnail-item.selected")
            );
        }
    }

    const views = new Map();

    function refresh() {
        for (const [gallery, view] of views) {
            if (gallery.isConnected) {
                view.match();
            } else {
                view.drop();
                views.delete(gallery);
            }
        }
        for (const tab of TABS) {
            const gallery = root().querySelector(`#${tab}_gallery`);
            if (gallery && !views.has(gallery) && root().querySelector(`#${tab}_riffusion_players`)) {
                views.set(gallery, new View(gallery, tab));
            }
        }
    }

    // What Space plays where the focus is, or null. A player of the browser has keys of its own.
    function soundAt(element) {
        if (!(element instanceof Element) || element.matches("audio, input, textarea, select") || element.isContentEditable) {
            return null;
        }
        const clip = element.closest(".riffusion-clip");
        const view = [...views.values()].find((candidate) => candidate.owns(element));
        return clip ? clip.querySelector("audio") : view ? view.audio : null;
    }

    function onSpace(event) {
        const plain = event.key === " " && !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
        const audio = plain && !event.defaultPrevented ? soundAt(event.target) : null;
        if (!audio) {
            return;
        }
        event.preventDefault(); // the page would scroll, a button would click; some browsers click at keyup
        if (event.type === "keydown" && !event.repeat) {
            toggle(audio);
        }
    }

    function onMedia(event) {
        const audio = event.target;
        if (!(audio instanceof HTMLAudioElement)) {
            return;
        }
        if (event.type === "play" && audio.matches(PLAYERS)) {
            for (const other of root().querySelectorAll(PLAYERS)) {
                if (other !== audio) {
                    other.pause();
                }
            }
        }
        for (const view of views.values()) {
            if (view.audio === audio && !view.timeline.hidden) {
                view.show();
            }
        }
    }

    // Events of media do not bubble, but they are seen on their way down: no player needs a listener of its own.
    for (const type of ["play", "pause", "timeupdate", "seeked", "loadedmetadata"]) {
        document.addEventListener(type, onMedia, true);
    }
    document.addEventListener("keydown", onSpace, true);
    document.addEventListener("keyup", onSpace, true);
    // An image that has just been loaded knows its shape.
    document.addEventListener("load", (event) => views.forEach((v) => v.image === event.target && v.place()), true);

    if (typeof onAfterUiUpdate === "function") {
        onAfterUiUpdate(refresh);
    } else {
        new MutationObserver(refresh).observe(document.documentElement, {childList: true, subtree: true});
    }
})();
